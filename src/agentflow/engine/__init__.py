"""How an application runs, written once for both colours: `flow` is the story, `rules` decides, `machine` remembers."""
