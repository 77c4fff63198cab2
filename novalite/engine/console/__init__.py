"""What browsers hold open: consoles over WebSocket, and streams of live events."""
