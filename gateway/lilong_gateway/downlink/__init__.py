"""What goes down to the nodes: updates and configurations, as an operator has laid them out."""
