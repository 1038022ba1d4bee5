package conf

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestListensAreReadWithTheirFlags(t *testing.T) {
	got, err := ParseListen("0.0.0.0:8000 reuseport backlog=16384, [::]:8443 http2 ssl reuseport")
	want := []Listen{{Address: "0.0.0.0:8000", Port: 8000}, {Address: "[::]:8443", Port: 8443, TLS: true, HTTP2: true}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
	if off, err := ParseListen("off"); err != nil || len(off) != 0 {
		t.Error(off, err)
	}
	for _, bad := range []string{"8000", "a:b", "0.0.0.0:99999"} {
		if _, err := ParseListen(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestASettingCanComeFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("se'cret\\\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load([]string{"KONG_PG_PASSWORD_FILE=" + file, "KONG_NGINX_X=1", "KONG_TYPO=1", "OTHER=1"})
	if err != nil || c.PG.Password != `se'cret\` {
		t.Fatalf("%q %v", c.PG.Password, err)
	}
	if !strings.Contains(c.PG.DSN(), `password='se\'cret\\'`) {
		t.Error("the password is not quoted for the connection string")
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "KONG_TYPO") {
		t.Errorf("warnings %v", c.Warnings)
	}
}

func TestPostgresIsCheckedByWhatIsTrusted(t *testing.T) {
	for _, c := range []struct{ mode, settings string }{
		{"disable", ""}, {"prefer", "on off off"}, {"require", "on on off"}, {"verify-full", "on on on"}, {"disable", "off on on"},
	} {
		environ := []string{}
		for i, value := range strings.Fields(c.settings) {
			environ = append(environ, []string{"KONG_PG_SSL=", "KONG_PG_SSL_REQUIRED=", "KONG_PG_SSL_VERIFY="}[i]+value)
		}
		got, err := Load(environ)
		if err != nil || !strings.Contains(got.PG.DSN(), "sslmode="+c.mode) || len(got.Warnings) > 0 {
			t.Errorf("%v: %v, not %s", c.settings, err, c.mode)
		}
	}
	empty := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(empty, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"/nowhere.pem", empty} {
		if _, err := Load([]string{"KONG_LUA_SSL_TRUSTED_CERTIFICATE=system," + file}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestTrustedPeersAreNetworks(t *testing.T) {
	c, err := Load([]string{"KONG_TRUSTED_IPS=10.0.0.0/8,192.168.1.1"})
	if err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]bool{"10.2.3.4": true, "::ffff:10.2.3.4": true, "192.168.1.1": true, "192.168.1.2": false, "x": false} {
		if c.Trusted(ip) != want {
			t.Errorf("%s: %v", ip, !want)
		}
	}
}
