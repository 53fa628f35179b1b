package config

import "fmt"

func adminRows() []Setting {
	return []Setting{
		{
			Key: "admin_bind", Flags: []string{"admin-bind"}, Kind: KindString, Unit: "address", Group: "Administration",
			Zero: "none", check: checkAdminBind,
			Help: "Address on which /-/health says whether the server is live and ready, and /-/metrics what it counts, for Prometheus: HOST:PORT, unix:PATH or fd://N. POST /publish/ answers polls that wait (grip_keys). It answers while every worker " +
				"is busy, and asks nobody who they are: an address that the public reaches shows them how busy the server is.",
			field: func(c *Config) any { return &c.AdminBind },
		},
		{
			Key: "control_socket", Flags: []string{"control-socket"}, Kind: KindString, Unit: "file or off", Group: "Administration",
			Env: []string{"BACKLINE_SOCKET"}, Zero: "control/NAME.sock in state_dir, with a NAME made of the application's folder",
			Help: "Unix socket over which backline ps, stacks and profile speak with the server; off for none. It is made with mode 0600: whoever may " +
				"open it sees every request's path and every stack. The commands find it by themselves when they are called in the same folder by the " +
				"same user; otherwise name it there with --socket.",
			field: func(c *Config) any { return &c.ControlSocket },
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
