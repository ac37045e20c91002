ALTER TABLE `turns` ADD `queued_at` integer;--> statement-breakpoint
ALTER TABLE `turns` ADD `process_origin` text;--> statement-breakpoint
ALTER TABLE `turns` ADD `tools` text;