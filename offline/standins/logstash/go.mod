module nexus/standins/logstash

go 1.25

require (
	github.com/elastic/go-grok v0.3.1
	github.com/elastic/go-lumber v0.1.0
	gopkg.in/yaml.v3 v3.0.1
)

require (
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/magefile/mage v1.15.0 // indirect
)
