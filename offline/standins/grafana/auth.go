package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const cookie = "grafana_session"

// After that many wrong passwords within the window, a name is refused unseen (the original's numbers).
const (
	attempts      = 5
	attemptWindow = 5 * time.Minute
)

// Auth knows who asks: by cookie, by password with each request, or nobody where that is allowed.
type Auth struct {
	settings *Settings
	store    *Store

	mutex    sync.Mutex
	failures map[string][]time.Time
	verified map[[32]byte]time.Time // passwords seen right a moment ago: bcrypt is slow by design
}

func newAuth(settings *Settings, store *Store) *Auth {
	return &Auth{settings: settings, store: store, failures: map[string][]time.Time{}, verified: map[[32]byte]time.Time{}}
}

// allowed says whether the request may go on, and whether it is the admin's.
func (a *Auth) allowed(request *http.Request) (allowed, admin bool) {
	if login, password, given := request.BasicAuth(); given && a.settings.on("auth.basic", "enabled") {
		right := a.check(login, password)
		return right, right
	}
	if held, err := request.Cookie(cookie); err == nil && a.session(held.Value) {
		return true, true
	}
	return a.settings.on("auth.anonymous", "enabled"), false
}

// check compares a password; too many wrong ones and the right one is refused too, for a while.
func (a *Auth) check(login, password string) bool {
	if a.locked(login) {
		return false
	}
	db, err := a.store.read()
	if err != nil {
		return false
	}
	key := sha256.Sum256([]byte(login + "\x00" + password + "\x00" + string(db.Password)))
	a.mutex.Lock()
	seen := time.Since(a.verified[key]) < time.Minute
	a.mutex.Unlock()
	if seen {
		return true
	}
	right := bcrypt.CompareHashAndPassword(db.Password, []byte(password)) == nil && login == db.Login
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if right {
		clear(a.verified)
		a.verified[key] = time.Now()
		delete(a.failures, login)
	} else {
		a.failures[login] = append(a.failures[login], time.Now())
	}
	return right
}

func (a *Auth) locked(login string) bool {
	if a.settings.on("security", "disable_brute_force_login_protection") {
		return false
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	recent := a.failures[login][:0]
	for _, at := range a.failures[login] {
		if time.Since(at) < attemptWindow {
			recent = append(recent, at)
		}
	}
	if a.failures[login] = recent; len(recent) == 0 {
		delete(a.failures, login)
	}
	return len(recent) >= attempts
}

func digest(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

func (a *Auth) session(value string) bool {
	db, err := a.store.read()
	session, found := db.Sessions[digest(value)]
	if err != nil || !found || a.expired(session) {
		return false
	}
	if time.Since(time.Unix(session.Seen, 0)) > time.Hour {
		_ = a.store.change(func(db *Database) error {
			session.Seen = time.Now().Unix()
			db.Sessions[digest(value)] = session
			return nil
		})
	}
	return true
}

func (a *Auth) expired(session Session) bool {
	longest, _ := lifetime(a.settings.text("auth", "login_maximum_lifetime_duration"))
	idle, _ := lifetime(a.settings.text("auth", "login_maximum_inactive_lifetime_duration"))
	return time.Since(time.Unix(session.Begun, 0)) > longest || time.Since(time.Unix(session.Seen, 0)) > idle
}

// login answers POST /login.
func (a *Auth) login(answer http.ResponseWriter, request *http.Request) {
	var given struct{ User, Password string }
	if err := json.NewDecoder(http.MaxBytesReader(answer, request.Body, 1<<16)).Decode(&given); err != nil {
		message(answer, http.StatusBadRequest, "bad login data")
		return
	}
	if !a.check(given.User, given.Password) {
		message(answer, http.StatusUnauthorized, "Invalid username or password")
		return
	}
	value := rand.Text()
	err := a.store.change(func(db *Database) error {
		for key, session := range db.Sessions {
			if a.expired(session) {
				delete(db.Sessions, key)
			}
		}
		now := time.Now().Unix()
		db.Sessions[digest(value)] = Session{now, now}
		return nil
	})
	if err != nil {
		message(answer, http.StatusInternalServerError, err.Error())
		return
	}
	a.setCookie(answer, value, 30*24*3600)
	reply(answer, http.StatusOK, map[string]any{"message": "Logged in", "redirectUrl": "/"})
}

func (a *Auth) logout(answer http.ResponseWriter, request *http.Request) {
	if held, err := request.Cookie(cookie); err == nil {
		_ = a.store.change(func(db *Database) error { delete(db.Sessions, digest(held.Value)); return nil })
	}
	a.setCookie(answer, "", -1)
	http.Redirect(answer, request, "/login", http.StatusFound)
}

func (a *Auth) setCookie(answer http.ResponseWriter, value string, age int) {
	http.SetCookie(answer, &http.Cookie{
		Name: cookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: a.settings.on("security", "cookie_secure"),
	})
}
