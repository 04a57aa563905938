"""A company's own tables, from wherever they lie: read whole or from a cursor on, every row clean, superseded or quarantined.

base                        what a source can be asked
  ├── csvfile  database  engine     files, and whatever SQLAlchemy or Ibis knows
  ├── hubspot  hubspotclient        HubSpot, by its own API
  ├── salesforce  salesforceapi ... Salesforce
  └── tables  vendors               which of them a location names
mapping  dateformats  attributes    columns of theirs as columns of ours
load  lag  contents         into the warehouse, in one transaction
guess  draft  check         a first leadscore.toml, and what is wrong with one
writeback                   scores handed back: hubspottarget, salesforcetarget, dynamics
access  patience            tokens, and waiting
simulator                   a company that is made up
"""
