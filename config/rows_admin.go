package config

import "fmt"

func adminRows() []Setting {
	return []Setting{
		{
			Key: "admin_bind", Flags: []string{"admin-bind"}, Kind: KindString, Unit: "address", Group: "Administration",
			Zero: "none", check: checkAdminBind,
			Help: "Address on which /-/health says whether the server is live and ready: HOST:PORT, unix:PATH or fd://N. It answers while every worker " +
				"is busy, and asks nobody who they are: an address that the public reaches shows them how busy the server is.",
			field: func(c *Config) any { return &c.AdminBind },
		},
	}
}

func checkAdminBind(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	address, err := checkBind(text)
	if scheme, rest := cutScheme(address); scheme != "" {
		return "", fmt.Errorf("%q: operators are always answered over plain http: expected %s", text, rest)
	}
	return address, err
}
