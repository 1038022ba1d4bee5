package plugin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"nexus/standins/kong/internal/schema"
)

// redisFields is the block of settings that plugins with counters in Redis share.
func redisFields() schema.Field {
	return schema.Field{Name: "redis", Type: schema.Record, Fields: []schema.Field{
		{Name: "host", Type: schema.String, Check: schema.CheckHost},
		{Name: "port", Type: schema.Integer, Default: 6379.0, Between: schema.Between(0, 65535)},
		{Name: "timeout", Type: schema.Integer, Default: 2000.0, Between: schema.Between(0, 1<<31-2)},
		schema.Text("username"), {Name: "password", Type: schema.String},
		{Name: "database", Type: schema.Integer, Default: 0.0},
		{Name: "ssl", Type: schema.Boolean, Default: false}, {Name: "ssl_verify", Type: schema.Boolean, Default: false},
		{Name: "server_name", Type: schema.String, Check: schema.CheckServerName},
	}}
}

// poolSize bounds the connections to one Redis server.
const poolSize = 16

// redisPools holds one client for each different server and user, however many plugins count there.
type redisPools struct {
	roots *x509.CertPool
	mu    sync.Mutex
	users map[string]int
	pools map[string]*redis.Client
}

// shared is one client in use by one plugin instance.
type sharedRedis struct {
	*redis.Client
	release func()
}

func newRedisPools(roots *x509.CertPool) *redisPools {
	return &redisPools{roots: roots, users: map[string]int{}, pools: map[string]*redis.Client{}}
}

// open gives the client for these settings; it connects when first used.
func (p *redisPools) open(config map[string]any) *sharedRedis {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprint(config)
	if p.pools[key] == nil {
		p.pools[key] = redis.NewClient(redisOptions(config, p.roots))
	}
	p.users[key]++
	return &sharedRedis{p.pools[key], sync.OnceFunc(func() { p.leave(key) })}
}

func (p *redisPools) leave(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users[key]--; p.users[key] == 0 {
		_ = p.pools[key].Close()
		delete(p.users, key)
		delete(p.pools, key)
	}
}

func redisOptions(config map[string]any, roots *x509.CertPool) *redis.Options {
	timeout := time.Duration(num(config, "timeout")) * time.Millisecond
	options := &redis.Options{
		Addr:     str(config, "host") + ":" + strconv.Itoa(int(num(config, "port"))),
		Username: str(config, "username"), Password: str(config, "password"), DB: int(num(config, "database")),
		DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, PoolTimeout: timeout,
		PoolSize: poolSize, ConnMaxIdleTime: time.Minute, Protocol: 2, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1,
	}
	if options.Username != "" && options.Password == "" {
		options.Username = ""
	}
	if flag(config, "ssl") {
		options.TLSConfig = &tls.Config{
			RootCAs: roots, ServerName: str(config, "server_name"), // the host, if there is none
			InsecureSkipVerify: !flag(config, "ssl_verify"), //nolint:gosec // configured
		}
	}
	return options
}

// deadline bounds one exchange with the server.
func (s *sharedRedis) deadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 2*s.Options().ReadTimeout)
}
