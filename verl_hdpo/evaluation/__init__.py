"""How a model uses its tools on a set of questions: rollouts, their figures, and two models side by side."""
