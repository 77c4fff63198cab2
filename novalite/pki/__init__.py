"""Keys and certificates of the appliance and its hosts."""
