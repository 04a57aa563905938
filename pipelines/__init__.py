"""The only room that touches the world: from a company's tables to the list that sales works from, every night.

cli  commands  terminal     what people and schedules type, and how they are answered
  ├── nightly               extract, then keep to time, score, review and write back
  │     ├── extract         crm: the company's tables, from wherever they lie
  │     ├── retention       who is kept no longer
  │     ├── score           tonight, delivery: what sales opens; post: what sales is mailed
  │     │     ├── circumstances  nextstep  groups     what is to be minded of a lead, and what would change its score
  │     │     └── baserate  standby                   the champion, where the base rate moved or no registry answers
  │     ├── review          what became of the nights whose outcome is known
  │     └── writeback       outbox  deliveries: nothing is handed over twice
  ├── train  experiment     study  evidence  rival  rules: what a new model has to beat
  ├── decisions  replies    what people say of leads
  ├── erase  erased  disclosure                       what people may ask for
  ├── story  lineage  standing  verify  comparison    where a score comes from, and whether all is well
  └── demonstration         all of it, with a company that is made up
company                     tables, settings and the end of the extract: what a flow works on
stages                      what is finished stands while its inputs do
warehouse                   ledger and tables, all of a change or nothing
  ├── schema  views  seals  migrations  catalog
  ├── storage  backup       the file, and what becomes of it when it is damaged
  └── mirror  server        the same on PostgreSQL
settings                    leadscore.toml: a section each for listrules, outcomerules, peoplerules, deliveryrules, writebackrules
registry                    where the models of an outcome are
report  progress  journal   what is said of a run: at its end, meanwhile, and for machines
schedule  environment  interruption
"""
