"""What damage to raw inputs does to the selected model: scores at each level, areas under the curves, beside late fusion."""
