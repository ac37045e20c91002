CREATE TABLE `past_sessions` (
	`claude_session` text PRIMARY KEY NOT NULL,
	`key` text NOT NULL,
	`workspace` text NOT NULL,
	`created_at` integer NOT NULL,
	`ended_at` integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE `sessions` ADD `effort` text;--> statement-breakpoint
ALTER TABLE `sessions` ADD `system_prompt` text;--> statement-breakpoint
ALTER TABLE `sessions` ADD `affinity` text;--> statement-breakpoint
ALTER TABLE `sessions` ADD `generation` integer;--> statement-breakpoint
CREATE INDEX `sessions_affinity` ON `sessions` (`affinity`);--> statement-breakpoint
ALTER TABLE `turns` ADD `claude_session` text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `turns` ADD `prints` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `turns` ADD `past_prints` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `turns` ADD `volatile` text;--> statement-breakpoint
CREATE INDEX `turns_claude_session` ON `turns` (`claude_session`,`sent_at`);