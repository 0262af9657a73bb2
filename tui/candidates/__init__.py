"""What can be done with the candidates of a study, apart from drawing them."""
