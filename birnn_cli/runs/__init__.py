"""What is kept of a training: recipes, checkpoints, run folders, and the model that ships."""
