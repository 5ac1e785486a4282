"""Which candidate the night puts forward: fusing must earn its parameters."""
