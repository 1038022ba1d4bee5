package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/crypto/bcrypt"
)

// Store keeps the admin's password, sessions and saved dashboards in one file of the data folder. It is read each time,
// as the command line changes it too; both hold a lock for that.
type Store struct {
	path  string
	mutex sync.Mutex
}

// Database is the file's content.
type Database struct {
	Login      string               `json:"login"`
	Password   []byte               `json:"password"`
	Sessions   map[string]Session   `json:"sessions"`
	Dashboards map[string]Dashboard `json:"dashboards"`
}

// Session is a login; its key is a digest of the cookie.
type Session struct {
	Begun int64 `json:"begun"`
	Seen  int64 `json:"seen"`
}

// openStore makes the file with the settings' first password; later ones are the command line's to set.
func openStore(settings *Settings) (*Store, error) {
	folder := settings.text("paths", "data")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	s := &Store{path: filepath.Join(folder, "grafana-standin.json")}
	return s, s.change(func(db *Database) error {
		db.Login = settings.text("security", "admin_user")
		if len(db.Password) > 0 {
			return nil
		}
		hash, err := bcrypt.GenerateFromPassword([]byte(settings.text("security", "admin_password")), bcrypt.DefaultCost)
		db.Password = hash
		return err
	})
}

func (s *Store) setPassword(password string) error {
	if len(password) < 4 {
		return errors.New("New password too short")
	}
	return s.change(func(db *Database) error {
		if bcrypt.CompareHashAndPassword(db.Password, []byte(password)) == nil {
			return nil
		}
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
		db.Password, db.Sessions = hash, nil
		return err
	})
}

// read is a copy of what is stored.
func (s *Store) read() (*Database, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.load()
}

func (s *Store) load() (*Database, error) {
	db := &Database{}
	text, err := os.ReadFile(s.path)
	if err == nil {
		err = json.Unmarshal(text, db)
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if db.Sessions == nil {
		db.Sessions = map[string]Session{}
	}
	if db.Dashboards == nil {
		db.Dashboards = map[string]Dashboard{}
	}
	return db, err
}

// change writes the file anew, unless change fails.
func (s *Store) change(change func(*Database) error) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	lock, err := os.OpenFile(s.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	db, err := s.load()
	if err != nil {
		return err
	}
	if err := change(db); err != nil {
		return err
	}
	text, err := json.Marshal(db)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path+".partial", text, 0o600); err != nil {
		return err
	}
	return os.Rename(s.path+".partial", s.path)
}
