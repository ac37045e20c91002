ALTER TABLE `sessions` ADD `branch_of` text;--> statement-breakpoint
CREATE INDEX `sessions_branch_of` ON `sessions` (`branch_of`);--> statement-breakpoint
ALTER TABLE `turns` ADD `had_history` integer;--> statement-breakpoint
ALTER TABLE `turns` ADD `dropped` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `turns` ADD `history` text;--> statement-breakpoint
ALTER TABLE `turns` ADD `exchanges` text;