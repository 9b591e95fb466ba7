package main

// The extension `saved_positions`: how far each file was read, written down only once the log store has saved what was
// read.
//
// A log store answers before its data is on disk; what it has in memory is lost when it is killed. So a position is
// first kept in memory. It is written to disk when the same process of the store still runs `settle` later: by then the
// store has saved what it had taken. When another process answers, the collector ends; whoever runs it starts it again,
// and it reads from the last position on disk. Lines may arrive twice, and none is lost.

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
)

type config struct {
	// The folder of the positions.
	Directory string `mapstructure:"directory"`
	// The log store's metrics, which say when its process started.
	Metrics string `mapstructure:"metrics"`
	// How long the store may keep what it has taken in memory alone, with a margin.
	Settle time.Duration `mapstructure:"settle"`
}

func (c *config) Validate() error {
	if c.Directory == "" || c.Metrics == "" || c.Settle <= 0 {
		return errors.New("directory, metrics and settle must be set")
	}
	return nil
}

func savedPositionsFactory() extension.Factory {
	create := func(_ context.Context, set extension.Settings, c component.Config) (extension.Extension, error) {
		return &positions{config: c.(*config), logger: set.Logger}, nil
	}
	none := func() component.Config { return &config{} }
	return extension.NewFactory(component.MustNewType("saved_positions"), none, create, component.StabilityLevelBeta)
}

// How often the store is asked for its process.
const interval = time.Second

// A store that is younger than this when its connection was lost is taken for another one: start times are whole seconds.
const young = 5 * time.Second

type positions struct {
	config *config
	logger *zap.Logger
	ended  chan struct{}

	// When the store's process started, in seconds since 1970; 0 when it did not answer at the start.
	started float64

	lock    sync.Mutex
	clients []*client
}

func (p *positions) Start(_ context.Context, host component.Host) error {
	if err := os.MkdirAll(p.config.Directory, 0o700); err != nil {
		return err
	}
	p.ended = make(chan struct{})
	// Before anything is sent, so that no process of the store stays unseen.
	p.started, _, _ = p.process()
	go func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-p.ended:
				return
			case <-ticker.C:
			}
			if err := p.look(); err != nil {
				componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
				return
			}
		}
	}()
	return nil
}

func (p *positions) Shutdown(context.Context) error {
	if p.ended != nil {
		close(p.ended)
	}
	return nil
}

// look writes what has settled; an error says that the store was restarted.
func (p *positions) look() error {
	asked := time.Now()
	started, reused, err := p.process()
	if err != nil {
		// The exporter says that the store is away, and waits too.
		return nil
	}
	age := time.Since(time.Unix(0, int64(started*1e9)))
	if p.started != started || (!reused && age < young) {
		return errors.New("the log store was started: reading again what an earlier process may not have saved")
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	for _, client := range p.clients {
		if err := client.settle(asked.Add(-p.config.Settle)); err != nil {
			p.logger.Error("a position could not be written", zap.Error(err))
		}
	}
	return nil
}

// process asks when the store's process started, and whether over the same connection as before.
func (p *positions) process() (started float64, reused bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, p.config.Metrics, nil)
	if err != nil {
		return 0, false, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, false, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "process_start_time_seconds "); ok {
			started, err = strconv.ParseFloat(value, 64)
		}
	}
	if err = errors.Join(err, lines.Err()); err == nil && started == 0 {
		err = fmt.Errorf("%s has no process_start_time_seconds", p.config.Metrics)
		p.logger.Error("no position can be written", zap.Error(err))
	}
	return started, reused, err
}

func (p *positions) GetClient(_ context.Context, kind component.Kind, id component.ID, name string) (storage.Client, error) {
	folder := filepath.Join(p.config.Directory, hex.EncodeToString([]byte(kind.String()+" "+id.String()+" "+name)))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	made := &client{folder: folder, waiting: map[string][]value{}}
	p.lock.Lock()
	defer p.lock.Unlock()
	p.clients = append(p.clients, made)
	return made, nil
}

type value struct {
	at    time.Time
	bytes []byte
}

type client struct {
	folder string
	lock   sync.Mutex
	// By key, the oldest first.
	waiting map[string][]value
}

func (c *client) file(key string) string {
	return filepath.Join(c.folder, hex.EncodeToString([]byte(key)))
}

// settle writes the newest value of each key that is older than `before`.
func (c *client) settle(before time.Time) error {
	c.lock.Lock()
	defer c.lock.Unlock()
	var failed error
	for key, values := range c.waiting {
		old := 0
		for old < len(values) && values[old].at.Before(before) {
			old++
		}
		if old == 0 {
			continue
		}
		if err := replace(c.file(key), values[old-1].bytes); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		c.waiting[key] = values[old:]
	}
	return failed
}

// replace writes a file so that after a crash it is the old or the new one.
func replace(path string, text []byte) error {
	beside := path + ".new"
	file, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(beside, path)
}

func (c *client) Get(_ context.Context, key string) ([]byte, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if values := c.waiting[key]; len(values) > 0 {
		return values[len(values)-1].bytes, nil
	}
	found, err := os.ReadFile(c.file(key))
	if errors.Is(err, fs.ErrNotExist) || len(found) == 0 {
		return nil, nil
	}
	return found, err
}

func (c *client) Set(_ context.Context, key string, set []byte) error {
	c.lock.Lock()
	defer c.lock.Unlock()
	values := c.waiting[key]
	last := len(values) - 1
	if last >= 0 && bytes.Equal(values[last].bytes, set) {
		return nil
	}
	// One a second is enough.
	now := time.Now()
	if last > 0 && now.Sub(values[last-1].at) < interval {
		values = values[:last]
	}
	c.waiting[key] = append(values, value{at: now, bytes: bytes.Clone(set)})
	return nil
}

func (c *client) Delete(ctx context.Context, key string) error { return c.Set(ctx, key, nil) }

func (c *client) Batch(ctx context.Context, operations ...*storage.Operation) (err error) {
	for _, operation := range operations {
		switch operation.Type {
		case storage.Get:
			operation.Value, err = c.Get(ctx, operation.Key)
		case storage.Set:
			err = c.Set(ctx, operation.Key, operation.Value)
		case storage.Delete:
			err = c.Delete(ctx, operation.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Close drops what has not settled: the next reader begins before it.
func (c *client) Close(context.Context) error {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.waiting = map[string][]value{}
	return nil
}
