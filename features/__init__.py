"""What was known about a lead on a day.

Pure functions: Ibis tables in, Ibis tables out. Nothing here reads a clock, a disk or a network.

    timeline    the one vocabulary of time
      ├── contract      what a row must be
      ├── history       the CRM as it stood strictly before as_of
      ├── accountwise   everybody at an account as one lead
      ├── population    which leads were open at as_of
      └── labels        did it convert within the horizon, and may we know yet
    plan        which features a model is made of
      ├── profile  engagement  account  outreach  deals
      └── examples      (lead, as_of) x features x label
    leakage     proves no feature changes when the future is cut off
    screen      finds the fields that know the outcome
      ├── proxies       by what their values say of past leads
      ├── aftermath     by when their history shows them
      ├── likeness      by whether tonight's open leads have them too
      ├── adversary     the same for several together
      └── finding  endings  levels
"""
