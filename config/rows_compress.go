package config

import (
	"fmt"
	"strings"
)

func compressRows() []Setting {
	const group = "Compression"
	return []Setting{
		{
			Key: "compress", Flags: []string{"compress"}, Kind: KindBool, Default: "false", Unit: "switch", Group: group,
			Help: "Compress what the application answers, for clients that accept it. Over TLS, pages that hold a secret and text that an attacker " +
				"chooses then give the secret away by their length (BREACH); leave it off for those, or see docs/static-files.md.",
			field: func(c *Config) any { return &c.Compress },
		},
		{
			Key: "compress_codings", Flags: []string{"compress-codings"}, Kind: KindStrings, Default: "zstd,gzip,br", Unit: "coding",
			Group: group, Zero: "nothing is compressed", check: checkCoding,
			Help: "Codings that are used, the preferred one first. br takes five times as long as gzip for results that are hardly smaller, unless " +
				"compress_level is small.",
			field: func(c *Config) any { return &c.CompressCodings },
		},
		{
			Key: "compress_types", Flags: []string{"compress-types"}, Kind: KindStrings,
			Default: "text/*,application/json,application/javascript,application/xml,application/wasm,image/svg+xml,*+json,*+xml",
			Unit:    "media type", Group: group, Zero: "nothing is compressed", check: checkMediaType,
			Help: "Media types that are compressed; a * stands for any part. text/event-stream is only compressed where it is named, because each such stream " +
				"takes one of compress_encoders for as long as it lasts.",
			field: func(c *Config) any { return &c.CompressTypes },
		},
		{
			Key: "compress_min_size", Flags: []string{"compress-min-size"}, Kind: KindSize, Default: "1KiB", Unit: "bytes", Max: "64MiB",
			Group: group, Zero: "every answer that is not empty",
			Help:  "Shortest body that is compressed, where its length is known. What fits into a packet anyway only costs time.",
			field: func(c *Config) any { return &c.CompressMinSize },
		},
		{
			Key: "compress_level", Flags: []string{"compress-level"}, Kind: KindChoice, Default: "balanced", Unit: "name",
			Choices: []string{"fast", "balanced", "small"}, Group: group,
			Help: "Time against size. A page of 30 KiB takes some 0.1 ms with zstd or gzip at fast, 0.2 ms at balanced and 0.5 ms at small, during which other " +
				"answers of the same worker wait.",
			field: func(c *Config) any { return &c.CompressLevel },
		},
		{
			Key: "compress_encoders", Flags: []string{"compress-encoders"}, Kind: KindInt, Default: "32", Unit: "answers", Min: "1",
			Max: "10000", Group: group,
			Help: "Answers that are compressed at a time; others go out as they are. Answers that stream take one until they end, whole ones for the moment. Each " +
				"takes 1 to 5 MiB of the server's memory.",
			field: func(c *Config) any { return &c.CompressEncoders },
		},
	}
}

func checkCoding(text string) (string, error) {
	switch name := strings.ToLower(text); name {
	case "zstd", "gzip", "br":
		return name, nil
	case "brotli":
		return "br", nil
	}
	return "", fmt.Errorf("%q is no coding that answers can be sent in: expected zstd, gzip or br", text)
}

// checkMediaType wants "type/subtype" without parameters, or a part of it with one star.
func checkMediaType(text string) (string, error) {
	if strings.ContainsAny(text, " ;,") || strings.Count(text, "*") > 1 || !strings.ContainsAny(text, "/*") || text == "*" {
		return "", fmt.Errorf("%q is no media type: expected for example application/json, text/* or *+xml", text)
	}
	return strings.ToLower(text), nil
}
