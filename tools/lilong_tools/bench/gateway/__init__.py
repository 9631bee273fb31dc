"""What the gateway takes, keeps, costs and hands on: `lilong bench gateway`."""
