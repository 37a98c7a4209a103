"""MCP servers: started or reached once per process, and called with a limit on time."""
