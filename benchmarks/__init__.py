"""What agentflow costs, beside other libraries and a hand-written loop, as ratios within one run."""
