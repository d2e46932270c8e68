"""How fast the serving container answers, beside the servers people use, on one model and one machine."""
