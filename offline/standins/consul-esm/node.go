package main

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
)

const (
	pingTimeout = 5 * time.Second
	nodeAlive   = "Node alive or reachable"
	nodeDead    = "Node not live or unreachable"
)

// probeNodes pings the external nodes that ask for it (meta external-probe=true), at the probe interval.
func (m *monitor) probeNodes(ctx context.Context) {
	lost := map[string]time.Time{}
	for {
		nodes, _, err := m.client.Catalog().Nodes((&api.QueryOptions{NodeMeta: m.config.NodeMeta}).WithContext(ctx))
		if err == nil {
			m.mutex.Lock()
			m.nodes = len(nodes)
			m.mutex.Unlock()
			m.probeAll(ctx, nodes, lost)
		}
		if !sleep(ctx, m.config.ProbeInterval) {
			return
		}
	}
}

func (m *monitor) probeAll(ctx context.Context, nodes []*api.Node, lost map[string]time.Time) {
	var pings sync.WaitGroup
	results := make([]error, len(nodes))
	for place, node := range nodes {
		if node.Meta["external-probe"] == "true" {
			pings.Go(func() { results[place] = ping(ctx, node.Address) })
		}
	}
	pings.Wait()
	for place, node := range nodes {
		if node.Meta["external-probe"] != "true" || ctx.Err() != nil {
			continue
		}
		if results[place] == nil {
			delete(lost, node.Node)
			m.noteNode(node, api.HealthPassing, nodeAlive)
			continue
		}
		m.logger.Debug("ping failed", "node", node.Node, "error", results[place])
		m.noteNode(node, api.HealthCritical, nodeDead)
		if _, known := lost[node.Node]; !known {
			lost[node.Node] = time.Now()
		}
		if time.Since(lost[node.Node]) > m.config.Reconnect {
			m.logger.Info("node unreachable for too long: deregistered", "node", node.Node)
			_, _ = m.client.Catalog().Deregister(&api.CatalogDeregistration{Node: node.Node}, nil)
		}
	}
}

// noteNode writes the node's check when it changed.
func (m *monitor) noteNode(node *api.Node, status, output string) {
	checks, _, err := m.client.Health().Node(node.Node, nil)
	for _, check := range checks {
		if check.CheckID == nodeCheck && check.Status == status {
			return
		}
	}
	if err == nil {
		check := api.HealthCheck{
			Node: node.Node, CheckID: nodeCheck, Name: "External Node Status", Status: status, Output: output,
		}
		_, _, _, err = m.client.Txn().Txn(api.TxnOps{
			{Node: &api.NodeTxnOp{Verb: api.NodeGet, Node: *node}}, // fails when the node is gone: it is not brought back
			{Check: &api.CheckTxnOp{Verb: api.CheckSet, Check: check}},
		}, nil)
	}
	if err != nil {
		m.logger.Warn("writing a node's check failed", "node", node.Node, "error", err)
	}
}

// ping sends one ICMP echo through an unprivileged socket (net.ipv4.ping_group_range; container engines open it).
func ping(ctx context.Context, address string) error {
	found, err := net.DefaultResolver.LookupIP(ctx, "ip4", address)
	if err != nil {
		return err
	}
	connection, err := icmp.ListenPacket("udp4", "0.0.0.0")
	if err != nil {
		return err
	}
	defer connection.Close()
	echo := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: os.Getpid() & 0xffff, Seq: 1}}
	packet, err := echo.Marshal(nil)
	if err != nil {
		return err
	}
	_ = connection.SetDeadline(time.Now().Add(pingTimeout))
	if _, err := connection.WriteTo(packet, &net.UDPAddr{IP: found[0]}); err != nil {
		return err
	}
	answer := make([]byte, 1500)
	size, _, err := connection.ReadFrom(answer)
	if err != nil {
		return err
	}
	message, err := icmp.ParseMessage(1, answer[:size])
	if err == nil && message.Type != ipv4.ICMPTypeEchoReply {
		err = errors.New("not an echo reply")
	}
	return err
}
