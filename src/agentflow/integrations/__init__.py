"""Where people look for agentflow's side of other libraries; each module loads its library when it is first used."""
