"""What runs on the board beside bessctl: updates and their proof. Shipped below /usr/lib/bessctl, never part of the wheel."""
