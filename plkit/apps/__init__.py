"""Pages in the browser. Only the command imports them; they import everything below."""
