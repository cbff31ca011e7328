-- What one run may cost when the owner raised that for it alone; else it is as the settings say.
ALTER TABLE runs ADD COLUMN raised_to_micro_usd INTEGER;
