"""The contracts: every event that crosses a service's border, declared once, one file per publisher."""
