"""What a node takes from its battery, computed: nothing of it was measured on hardware."""
