"""A made-up company whose CRM is as messy as a real one and whose truth is known.

parameters   every rate of the world, in one table
  ├── people     accounts, owners, leads: who they are and how inclined to buy
  ├── chain      deal stage and hidden intent, moving as one chain in daily steps
  ├── days       what leads and sales do, day after day
  ├── rows       the CRM's tables, with the mess of a real one
  ├── truth      the exact probability of conversion, given what is knowable and given the hidden state
  └── world      all of it, in blocks, streamed to Parquet
"""

from pipelines.crm.simulator.world import TRUTH, Counts, simulate, truth

__all__ = ["TRUTH", "Counts", "simulate", "truth"]
