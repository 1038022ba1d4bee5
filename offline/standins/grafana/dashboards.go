package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// posts are the paths that a POST through the proxy may go to; anything else could change the data source.
var posts = map[string][]string{
	"elasticsearch": {"_msearch"},
	"prometheus":    {"api/v1/query", "api/v1/query_range", "api/v1/query_exemplars", "api/v1/series", "api/v1/labels"},
}

// refuses is the reason not to pass a request on; empty when it may.
func (d Datasource) refuses(method, path string) string {
	kind := map[string]string{"elasticsearch": "Elasticsearch", "prometheus": "Prometheus"}[d.Type]
	switch {
	case method == http.MethodGet || method == http.MethodHead:
		return ""
	case method == http.MethodPost && slices.Contains(posts[d.Type], path):
		return ""
	case method == http.MethodPost:
		return "posts not allowed on proxied " + kind + " datasource except on /" + strings.Join(posts[d.Type], ", /")
	}
	return strings.ToLower(method) + " not allowed on proxied " + kind + " datasource"
}

// all dashboards: the provisioned ones win over saved ones of the same UID.
func (s *Site) all() map[string]Dashboard {
	found := map[string]Dashboard{}
	if db, err := s.store.read(); err == nil {
		maps.Copy(found, db.Dashboards)
	}
	maps.Copy(found, s.provisioned.boards())
	return found
}

var notInSlug = regexp.MustCompile(`[^a-z0-9]+`)

func (d Dashboard) slug() string {
	return strings.Trim(notInSlug.ReplaceAllString(strings.ToLower(d.Title), "-"), "-")
}

func (d Dashboard) url() string { return "/d/" + d.UID + "/" + d.slug() }

// search lists dashboards by title, tag or folder.
func (s *Site) search(answer http.ResponseWriter, request *http.Request) {
	asked := request.URL.Query()
	list := []map[string]any{}
	for _, d := range sorted(s.all()) {
		matches := strings.Contains(strings.ToLower(d.Title), strings.ToLower(asked.Get("query")))
		for _, tag := range asked["tag"] {
			matches = matches && slices.Contains(d.Tags, tag)
		}
		if folders := asked["folderUIDs"]; len(folders) > 0 {
			matches = matches && slices.Contains(folders, d.FolderUID)
		}
		if kind := asked.Get("type"); !matches || kind != "" && kind != "dash-db" {
			continue
		}
		list = append(list, map[string]any{
			"uid": d.UID, "title": d.Title, "uri": "db/" + d.slug(), "url": d.url(), "slug": "", "type": "dash-db", "tags": d.Tags,
			"isStarred": false, "folderUid": d.FolderUID, "folderTitle": d.Folder,
		})
	}
	reply(answer, http.StatusOK, list)
}

func sorted(dashboards map[string]Dashboard) []Dashboard {
	return slices.SortedFunc(maps.Values(dashboards), func(a, b Dashboard) int {
		return cmp.Or(strings.Compare(a.Folder, b.Folder), strings.Compare(a.Title, b.Title))
	})
}

func (s *Site) folders(answer http.ResponseWriter, _ *http.Request) {
	list, seen := []map[string]any{}, map[string]bool{}
	for _, d := range sorted(s.all()) {
		if d.FolderUID != "" && !seen[d.FolderUID] {
			seen[d.FolderUID] = true
			list = append(list, map[string]any{"uid": d.FolderUID, "title": d.Folder})
		}
	}
	reply(answer, http.StatusOK, list)
}

func (s *Site) dashboard(answer http.ResponseWriter, request *http.Request) {
	d, found := s.all()[request.PathValue("uid")]
	if !found {
		message(answer, http.StatusNotFound, "Dashboard not found")
		return
	}
	reply(answer, http.StatusOK, map[string]any{
		"dashboard": d.Body,
		"meta": map[string]any{
			"type": "db", "slug": d.slug(), "url": d.url(), "folderUid": d.FolderUID, "folderTitle": d.Folder, "canEdit": d.Source == "",
			"canSave": d.Source == "", "provisioned": d.Source != "", "provisionedExternalId": d.Source, "isFolder": false,
		},
	})
}

// saveDashboard keeps a dashboard in the data folder; a provisioned one is changed in its file alone.
func (s *Site) saveDashboard(answer http.ResponseWriter, request *http.Request) {
	var given struct {
		Dashboard map[string]any `json:"dashboard"`
		Overwrite bool           `json:"overwrite"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(answer, request.Body, 8<<20)).Decode(&given); err != nil {
		message(answer, http.StatusBadRequest, "bad request data")
		return
	}
	d := Dashboard{Body: given.Dashboard}
	d.describe()
	if d.Title == "" {
		message(answer, http.StatusBadRequest, "Dashboard title cannot be empty")
		return
	}
	if d.UID == "" {
		d.UID = generated(d.Title)
		d.Body["uid"] = d.UID
	}
	if _, provisioned := s.provisioned.boards()[d.UID]; provisioned {
		message(answer, http.StatusBadRequest, "Cannot save provisioned dashboard")
		return
	}
	var number float64
	err := s.store.change(func(db *Database) error {
		before, exists := db.Dashboards[d.UID]
		number, _ = before.Body["version"].(float64)
		if claimed, _ := d.Body["version"].(float64); exists && !given.Overwrite && claimed != number {
			return errChanged
		}
		number++
		d.Body["version"] = number
		db.Dashboards[d.UID] = d
		return nil
	})
	switch {
	case err == errChanged:
		reply(answer, http.StatusPreconditionFailed, map[string]any{"message": err.Error(), "status": "version-mismatch"})
	case err != nil:
		message(answer, http.StatusInternalServerError, err.Error())
	default:
		reply(answer, http.StatusOK, map[string]any{"uid": d.UID, "url": d.url(), "slug": d.slug(), "status": "success", "version": number})
	}
}

var errChanged = fmt.Errorf("The dashboard has been changed by someone else")

func (s *Site) deleteDashboard(answer http.ResponseWriter, request *http.Request) {
	uid, title := request.PathValue("uid"), ""
	if _, provisioned := s.provisioned.boards()[uid]; provisioned {
		message(answer, http.StatusBadRequest, "provisioned dashboard cannot be deleted")
		return
	}
	err := s.store.change(func(db *Database) error {
		title = db.Dashboards[uid].Title
		delete(db.Dashboards, uid)
		return nil
	})
	switch {
	case err != nil:
		message(answer, http.StatusInternalServerError, err.Error())
	case title == "":
		message(answer, http.StatusNotFound, "Dashboard not found")
	default:
		reply(answer, http.StatusOK, map[string]any{"title": title, "message": "Dashboard " + title + " deleted"})
	}
}

func (s *Site) user(answer http.ResponseWriter, _ *http.Request) {
	login := s.settings.text("security", "admin_user")
	reply(answer, http.StatusOK, map[string]any{"id": 1, "login": login, "name": login, "orgId": 1, "isGrafanaAdmin": true})
}

func (s *Site) organisation(answer http.ResponseWriter, _ *http.Request) {
	reply(answer, http.StatusOK, map[string]any{"id": 1, "name": "Main Org."})
}

func (s *Site) changePassword(answer http.ResponseWriter, request *http.Request) {
	var given struct{ OldPassword, NewPassword, ConfirmNew string }
	if err := json.NewDecoder(http.MaxBytesReader(answer, request.Body, 1<<16)).Decode(&given); err != nil {
		message(answer, http.StatusBadRequest, "bad request data")
		return
	}
	if !s.auth.check(s.settings.text("security", "admin_user"), given.OldPassword) {
		message(answer, http.StatusUnauthorized, "Invalid old password")
		return
	}
	if err := s.store.setPassword(given.NewPassword); err != nil {
		message(answer, http.StatusBadRequest, err.Error())
		return
	}
	message(answer, http.StatusOK, "User password changed")
}
