package plugin

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	_ "crypto/sha256" // registers the digests
	_ "crypto/sha512"
)

// jsonToken is a JWT, taken apart but not verified.
type jsonToken struct {
	header, claims map[string]any
	algorithm      string
	signed         string
	signature      []byte
}

// parseToken reads the compact form; problem is "" when that went well.
func parseToken(text string) (token jsonToken, problem string) {
	parts := strings.SplitN(text, ".", 3)
	if len(parts) < 3 {
		return token, "invalid JSON"
	}
	raw := make([][]byte, len(parts))
	for i, part := range parts {
		var err error
		if raw[i], err = decodeBase64(part); err != nil {
			return token, "invalid JSON"
		}
	}
	if json.Unmarshal(raw[0], &token.header) != nil || json.Unmarshal(raw[1], &token.claims) != nil {
		return token, "invalid JSON"
	}
	token.algorithm, _ = token.header["alg"].(string)
	if _, known := digests[token.algorithm]; !known {
		return token, "invalid alg"
	}
	if token.claims == nil {
		return token, "invalid claims"
	}
	token.signed, token.signature = text[:len(parts[0])+1+len(parts[1])], raw[2]
	return token, ""
}

// text is a claim, or else a field of the header.
func (t *jsonToken) text(name string) (string, bool) {
	for _, from := range []map[string]any{t.claims, t.header} {
		switch v := from[name].(type) {
		case string:
			return v, true
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64), true
		}
	}
	return "", false
}

// digests has every algorithm there is; EdDSA digests by itself.
var digests = map[string]crypto.Hash{
	"HS256": crypto.SHA256, "HS384": crypto.SHA384, "HS512": crypto.SHA512,
	"RS256": crypto.SHA256, "RS384": crypto.SHA384, "RS512": crypto.SHA512,
	"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512,
	"ES256": crypto.SHA256, "ES384": crypto.SHA384, "ES512": crypto.SHA512,
	"EdDSA": 0,
}

// verifySignature tells whether the signature is that of the key's owner; a key of another kind never fits.
func verifySignature(algorithm, signed string, signature []byte, key any) bool {
	hash := digests[algorithm]
	var sum []byte
	if hash != 0 {
		h := hash.New()
		h.Write([]byte(signed))
		sum = h.Sum(nil)
	}
	switch algorithm[:2] {
	case "HS":
		secret, ok := key.([]byte)
		if !ok {
			return false
		}
		mac := hmac.New(hash.New, secret)
		mac.Write([]byte(signed))
		return hmac.Equal(mac.Sum(nil), signature)
	case "RS":
		public, ok := key.(*rsa.PublicKey)
		return ok && rsa.VerifyPKCS1v15(public, hash, sum, signature) == nil
	case "PS":
		public, ok := key.(*rsa.PublicKey)
		return ok && rsa.VerifyPSS(public, hash, sum, signature, nil) == nil
	case "ES":
		public, ok := key.(*ecdsa.PublicKey)
		return ok && verifyECDSA(public, sum, signature)
	}
	public, ok := key.(ed25519.PublicKey)
	return ok && ed25519.Verify(public, []byte(signed), signature)
}

// verifyECDSA takes the two numbers side by side, as RFC 7518 wants them.
func verifyECDSA(public *ecdsa.PublicKey, sum, signature []byte) bool {
	size := (public.Curve.Params().BitSize + 7) / 8
	if len(signature) != 2*size {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
	return ecdsa.Verify(public, sum, r, s)
}
