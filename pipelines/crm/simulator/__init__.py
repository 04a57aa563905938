"""A made-up company whose CRM is as messy as a real one and whose truth is known.

parameters   every rate of the world, in one table
  ├── people     accounts, owners, leads: who they are and how inclined to buy
  ├── chain      deal stage and hidden intent, moving as one chain in daily steps
  ├── days       what leads and sales do, day after day
  ├── customers  usage, moods and renewals of those who bought, and how likely each was to leave
  ├── rows       the CRM's tables
  ├── mess       what is wrong with the tables of a real CRM
  ├── truth      the exact probability of conversion, given what is knowable and given the hidden state
  └── world      all of it, in blocks, streamed to Parquet
"""

from pipelines.crm.simulator.world import LEAVING, TRUTH, Counts, simulate, truth

__all__ = ["LEAVING", "TRUTH", "Counts", "simulate", "truth"]
