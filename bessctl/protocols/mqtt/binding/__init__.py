"""Session <-> plant, store and plans. Signs, units and clocks are turned here."""
