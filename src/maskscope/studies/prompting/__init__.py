"""How presence, kind and density of prompts change what is tracked: simulated users, trials, jobs."""
