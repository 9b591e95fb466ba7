package main

// The extension `served_certificate`: metrics of the certificate that a server presents. Only a handshake tells: the file
// on disk may be newer, or older.

import (
	"context"
	"crypto/tls"
	"net/url"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/otel/metric"
)

// A scrape waits for 10 s.
const handshake = 5 * time.Second

type served struct {
	// Of the server; empty where none runs.
	URL       string `mapstructure:"url"`
	telemetry component.TelemetrySettings
}

func servedCertificateFactory() extension.Factory {
	create := func(_ context.Context, set extension.Settings, c component.Config) (extension.Extension, error) {
		return &served{URL: c.(*served).URL, telemetry: set.TelemetrySettings}, nil
	}
	none := func() component.Config { return &served{} }
	return extension.NewFactory(component.MustNewType("served_certificate"), none, create, component.StabilityLevelBeta)
}

func (s *served) Shutdown(context.Context) error { return nil }

// Start registers what each scrape asks the server.
func (s *served) Start(context.Context, component.Host) error {
	if s.URL == "" {
		return nil
	}
	server, err := url.Parse(s.URL)
	if err != nil {
		return err
	}
	meter := s.telemetry.MeterProvider.Meter("flowship/served_certificate")
	gauges := make([]metric.Int64ObservableGauge, 3)
	for index, gauge := range [][2]string{
		{"flowship_tls_handshake_succeeds", "1 when the edge completed a TLS handshake"},
		{"flowship_tls_certificate_begins_seconds", "When the certificate that the edge presents begins, in seconds since 1970"},
		{"flowship_tls_certificate_ends_seconds", "When the certificate that the edge presents ends, in seconds since 1970"},
	} {
		if gauges[index], err = meter.Int64ObservableGauge(gauge[0], metric.WithDescription(gauge[1])); err != nil {
			return err
		}
	}
	_, err = meter.RegisterCallback(func(ctx context.Context, observer metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, handshake)
		defer cancel()
		// One that is not valid has to be seen too.
		dialer := tls.Dialer{Config: &tls.Config{ServerName: server.Hostname(), InsecureSkipVerify: true}}
		connection, err := dialer.DialContext(ctx, "tcp", server.Host)
		if err != nil {
			observer.ObserveInt64(gauges[0], 0)
			return nil
		}
		defer connection.Close()
		certificate := connection.(*tls.Conn).ConnectionState().PeerCertificates[0]
		observer.ObserveInt64(gauges[0], 1)
		observer.ObserveInt64(gauges[1], certificate.NotBefore.Unix())
		observer.ObserveInt64(gauges[2], certificate.NotAfter.Unix())
		return nil
	}, gauges[0], gauges[1], gauges[2])
	return err
}
