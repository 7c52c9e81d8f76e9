"""Front end, networks, model file and block-wise scoring: what training and prediction must agree on."""
