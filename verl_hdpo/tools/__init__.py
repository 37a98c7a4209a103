"""The tools, as verl's ``BaseTool``: argument checks and ``ToolResponse``; what they do is in the pure packages."""
