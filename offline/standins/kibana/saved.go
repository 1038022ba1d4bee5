package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxBody bounds what is imported at once (the original's savedObjects.maxImportPayloadBytes).
const maxBody = 25 << 20

func newID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// failed answers with an error in Kibana's form.
func failed(answer http.ResponseWriter, status int, text string) {
	reply(answer, status, map[string]any{"statusCode": status, "error": http.StatusText(status), "message": text})
}

// refused translates what Elasticsearch said.
func refused(answer http.ResponseWriter, err error, kind, id string) {
	var r *refusal
	switch {
	case notFound(err):
		failed(answer, http.StatusNotFound, fmt.Sprintf("Saved object [%s/%s] not found", kind, id))
	case errors.As(err, &r) && r.status == http.StatusConflict:
		failed(answer, http.StatusConflict, fmt.Sprintf("Saved object [%s/%s] conflict", kind, id))
	case errors.As(err, &r) && r.status < 500:
		failed(answer, r.status, err.Error())
	default:
		failed(answer, http.StatusServiceUnavailable, err.Error())
	}
}

func known(answer http.ResponseWriter, kind string) bool {
	if !kinds[kind] {
		failed(answer, http.StatusBadRequest, fmt.Sprintf("Unsupported saved object type: '%s': Bad Request", kind))
	}
	return kinds[kind]
}

func (s *Site) createObject(answer http.ResponseWriter, request *http.Request) {
	object := &Object{}
	if err := json.NewDecoder(http.MaxBytesReader(answer, request.Body, maxBody)).Decode(object); err != nil {
		failed(answer, http.StatusBadRequest, err.Error())
		return
	}
	object.Type, object.ID = request.PathValue("type"), request.PathValue("id")
	if object.ID == "" {
		object.ID = newID()
	}
	overwrite := request.URL.Query().Get("overwrite") == "true"
	if !known(answer, object.Type) {
		return
	}
	if request.Method == http.MethodPut { // an update: attributes over those that are there
		before, err := s.objects.get(request.Context(), object.Type, object.ID)
		if err != nil {
			refused(answer, err, object.Type, object.ID)
			return
		}
		object.Attributes, overwrite = merged(before.Attributes, object.Attributes), true
	}
	if err := s.objects.put(request.Context(), object, overwrite); err != nil {
		refused(answer, err, object.Type, object.ID)
		return
	}
	reply(answer, http.StatusOK, object)
}

func merged(before, after json.RawMessage) json.RawMessage {
	var attributes map[string]json.RawMessage
	_ = json.Unmarshal(before, &attributes)
	_ = json.Unmarshal(after, &attributes)
	text, _ := json.Marshal(attributes)
	return text
}

func (s *Site) getObject(answer http.ResponseWriter, request *http.Request) {
	kind, id := request.PathValue("type"), request.PathValue("id")
	object, err := s.objects.get(request.Context(), kind, id)
	if err != nil {
		refused(answer, err, kind, id)
		return
	}
	reply(answer, http.StatusOK, object)
}

func (s *Site) deleteObject(answer http.ResponseWriter, request *http.Request) {
	kind, id := request.PathValue("type"), request.PathValue("id")
	if err := s.objects.remove(request.Context(), kind, id); err != nil {
		refused(answer, err, kind, id)
		return
	}
	reply(answer, http.StatusOK, map[string]any{})
}

func (s *Site) findObjects(answer http.ResponseWriter, request *http.Request) {
	asked := request.URL.Query()
	page, size := number(asked.Get("page"), 1), number(asked.Get("per_page"), 20)
	if len(asked["type"]) == 0 {
		failed(answer, http.StatusBadRequest, "[request query.type]: expected at least one defined value but got [undefined]")
		return
	}
	found, total, err := s.objects.find(request.Context(), asked["type"], asked.Get("search"), page, size)
	if err != nil {
		refused(answer, err, "", "")
		return
	}
	reply(answer, http.StatusOK, map[string]any{"page": page, "per_page": size, "total": total, "saved_objects": found})
}

func number(text string, fallback int) int {
	if parsed, err := strconv.Atoi(text); err == nil && parsed > 0 {
		return min(parsed, 10000)
	}
	return fallback
}

// importObjects takes a file of one object a line; what is there already is a conflict unless overwrite is asked for.
func (s *Site) importObjects(answer http.ResponseWriter, request *http.Request) {
	request.Body = http.MaxBytesReader(answer, request.Body, maxBody)
	file, _, err := request.FormFile("file")
	if err != nil {
		failed(answer, http.StatusBadRequest, "[request body.file]: expected value of type [Stream] but got [undefined]")
		return
	}
	text, err := io.ReadAll(file)
	if err != nil {
		failed(answer, http.StatusBadRequest, err.Error())
		return
	}
	overwrite := request.URL.Query().Get("overwrite") == "true"
	done, problems := []map[string]any{}, []map[string]any{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxBody)
	for lines.Scan() {
		object := &Object{}
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || bytes.Contains(line, []byte(`"exportedCount"`)) {
			continue
		}
		if err := json.Unmarshal(line, object); err != nil {
			failed(answer, http.StatusBadRequest, "Unexpected token in JSON: "+err.Error())
			return
		}
		about := map[string]any{"type": object.Type, "id": object.ID}
		var r *refusal
		if !kinds[object.Type] {
			about["error"] = map[string]any{"type": "unsupported_type"}
			problems = append(problems, about)
			continue
		}
		switch err := s.objects.put(request.Context(), object, overwrite); {
		case errors.As(err, &r) && r.status == http.StatusConflict:
			about["error"] = map[string]any{"type": "conflict"}
		case err != nil:
			refused(answer, err, object.Type, object.ID)
			return
		}
		if about["error"] != nil {
			problems = append(problems, about)
		} else {
			done = append(done, about)
		}
	}
	body := map[string]any{"success": len(problems) == 0, "successCount": len(done), "successResults": done}
	if len(problems) > 0 {
		body["errors"] = problems
	}
	reply(answer, http.StatusOK, body)
}

// exportObjects writes objects of some types, or chosen ones, one a line, and a line that counts them.
func (s *Site) exportObjects(answer http.ResponseWriter, request *http.Request) {
	var asked struct {
		Type    json.RawMessage
		Objects []struct{ Type, ID string }
	}
	if err := json.NewDecoder(http.MaxBytesReader(answer, request.Body, maxBody)).Decode(&asked); err != nil {
		failed(answer, http.StatusBadRequest, err.Error())
		return
	}
	var found []Object
	for _, each := range asked.Objects {
		object, err := s.objects.get(request.Context(), each.Type, each.ID)
		if err != nil {
			refused(answer, err, each.Type, each.ID)
			return
		}
		found = append(found, object)
	}
	if types := texts(asked.Type); len(types) > 0 {
		all, _, err := s.objects.find(request.Context(), types, "", 1, 10000)
		if err != nil {
			refused(answer, err, "", "")
			return
		}
		found = append(found, all...)
	}
	answer.Header().Set("Content-Type", "application/ndjson")
	answer.Header().Set("Content-Disposition", `attachment; filename="export.ndjson"`)
	encoder := json.NewEncoder(answer)
	for _, object := range found {
		_ = encoder.Encode(object)
	}
	_ = encoder.Encode(map[string]any{"exportedCount": len(found), "missingRefCount": 0, "missingReferences": []any{}})
}

// texts reads "a" and ["a", "b"].
func texts(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil && one != "" {
		return []string{one}
	}
	var several []string
	_ = json.Unmarshal(raw, &several)
	return slices.DeleteFunc(several, func(text string) bool { return strings.TrimSpace(text) == "" })
}
