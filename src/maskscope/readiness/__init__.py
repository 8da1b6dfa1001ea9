"""What a clip says about an installation: needs, endurance, costs, a plan; from measurements, knowing no model."""
