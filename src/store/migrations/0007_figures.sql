CREATE TABLE `plan_windows` (
	`name` text PRIMARY KEY NOT NULL,
	`used_percent` real,
	`resets_at` integer,
	`seen_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `session_figures` (
	`session` text PRIMARY KEY NOT NULL,
	`claude_session` text NOT NULL,
	`figures` text NOT NULL,
	FOREIGN KEY (`session`) REFERENCES `sessions`(`key`) ON UPDATE no action ON DELETE cascade
);
