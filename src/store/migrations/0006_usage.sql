CREATE TABLE `usage_sums` (
	`starts_at` integer NOT NULL,
	`span` text NOT NULL,
	`conversation` text NOT NULL,
	`agent` text NOT NULL,
	`model` text NOT NULL,
	`done` integer NOT NULL,
	`failed` integer NOT NULL,
	`interrupted` integer NOT NULL,
	`lost` integer NOT NULL,
	`calls` integer NOT NULL,
	`input` integer NOT NULL,
	`cache_read` integer NOT NULL,
	`cache_write` integer NOT NULL,
	`output` integer NOT NULL,
	`cost` real NOT NULL,
	`unpriced` integer NOT NULL,
	`first_texts` text NOT NULL,
	PRIMARY KEY(`starts_at`, `span`, `conversation`, `agent`, `model`)
);
--> statement-breakpoint
ALTER TABLE `turns` ADD `model_usage` text;--> statement-breakpoint
ALTER TABLE `turns` ADD `usage_open` integer DEFAULT false NOT NULL;--> statement-breakpoint
-- The turns of earlier versions, whose cache writes are part of `tokens_in`.
INSERT INTO `usage_sums`
SELECT
	CAST(strftime('%s', strftime('%Y-%m-%d %H:00:00', `turns`.`sent_at` / 1000, 'unixepoch', 'localtime'), 'utc') AS INTEGER) * 1000,
	'hour',
	CASE WHEN `source` = 'unnamed' THEN 'unnamed' WHEN `source` IN ('one-shot', 'side') THEN 'one-shot' ELSE coalesce(`branch_of`, `key`) END,
	coalesce(`agent`, ''),
	'',
	sum(`state` = 'done'),
	sum(`state` = 'failed'),
	sum(`state` = 'interrupted'),
	sum(`state` = 'lost'),
	0,
	coalesce(sum(`tokens_in` - coalesce(`tokens_cached`, 0)), 0),
	coalesce(sum(`tokens_cached`), 0),
	0,
	coalesce(sum(`tokens_out`), 0),
	0,
	sum(`tokens_in` IS NOT NULL),
	'{}'
FROM `turns` JOIN `sessions` ON `sessions`.`key` = `turns`.`session`
GROUP BY 1, 2, 3, 4;
