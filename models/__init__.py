"""From features to a probability one can stake a call on.

encoding     columns of a training table as numbers, the same tomorrow as today
  ├── categories  texts    fields of many levels, and titles by their letters
  ├── baseline   the points table sales uses today, and a logistic model
  ├── trees  hazard   boosted trees, and how readily a lead is won in each stretch of the horizon
  ├── blend      several models, added up by weights
  ├── recency  calendar  segmented   the same models from newer nights, without what tells the time, by segment
  ├── scorer     a model, its calibration, its features
  ├── calibration  tuning
  └── metrics    lift, precision and gain at capacity, log-loss, reliability, with intervals
segments         where calibration holds and where it fails
fairness         who gets the calls, among groups that are protected
baserate         has the base rate moved, and does following it help
choice           which calibration earned its place on later nights
leader           the best model, or a blend that is better beyond doubt
backtest  race   rolling origin; every model in every fold, the leader refitted
gate  segments   champion against challenger on the same rows, and for some of the leads
reasons  ranking  outcomes  plots
comparison       two runs side by side
registry  run    the only file that knows MLflow; what a run leaves behind
deadline         how long whoever does not answer is waited for
"""
