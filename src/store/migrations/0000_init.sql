CREATE TABLE `sessions` (
	`key` text PRIMARY KEY NOT NULL,
	`source` text NOT NULL,
	`agent` text,
	`chat` text,
	`claude_session` text NOT NULL,
	`workspace` text NOT NULL,
	`launch_hash` text NOT NULL,
	`model` text,
	`created_at` integer NOT NULL,
	`last_active_at` integer NOT NULL,
	`turns` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `sessions_claude_session_unique` ON `sessions` (`claude_session`);--> statement-breakpoint
CREATE TABLE `turns` (
	`id` text PRIMARY KEY NOT NULL,
	`session` text NOT NULL,
	`state` text NOT NULL,
	`trace_id` text,
	`prompt_id` text,
	`sent_at` integer NOT NULL,
	`received_at` integer,
	`first_text_at` integer,
	`ended_at` integer,
	`error_code` text,
	`tokens_in` integer,
	`tokens_out` integer,
	`tokens_cached` integer,
	FOREIGN KEY (`session`) REFERENCES `sessions`(`key`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `turns_session` ON `turns` (`session`,`sent_at`);