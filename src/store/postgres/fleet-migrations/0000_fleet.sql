CREATE TABLE "claims" (
	"key" text PRIMARY KEY NOT NULL,
	"node" uuid,
	"epoch" bigint NOT NULL,
	"seq" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "files" (
	"claude_session" text NOT NULL,
	"path" text NOT NULL,
	"seq" integer NOT NULL,
	"epoch" bigint NOT NULL,
	"bytes" "bytea" NOT NULL,
	CONSTRAINT "files_claude_session_path_seq_pk" PRIMARY KEY("claude_session","path","seq")
);
--> statement-breakpoint
CREATE TABLE "members" (
	"name" text PRIMARY KEY NOT NULL,
	"url" text NOT NULL,
	"certificate" text NOT NULL,
	"next_certificate" text,
	"keys" text NOT NULL,
	"joined_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "nodes" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"url" text NOT NULL,
	"lease_until" timestamp with time zone NOT NULL,
	"draining" boolean DEFAULT false NOT NULL,
	"places" integer NOT NULL,
	"used" integer NOT NULL,
	"waiting" integer NOT NULL,
	"typical_turn_ms" integer NOT NULL,
	"version" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "parked" (
	"id" text PRIMARY KEY NOT NULL,
	"node" uuid NOT NULL
);
--> statement-breakpoint
CREATE TABLE "past_sessions" (
	"claude_session" text PRIMARY KEY NOT NULL,
	"key" text NOT NULL,
	"workspace" text NOT NULL,
	"created_at" bigint NOT NULL,
	"ended_at" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "permissions" (
	"id" text PRIMARY KEY NOT NULL,
	"session" text NOT NULL,
	"turn" text,
	"tool" text NOT NULL,
	"input" text NOT NULL,
	"sender" text,
	"asked_at" bigint NOT NULL,
	"verdict" text,
	"way" text,
	"rule" text,
	"decided_by" text,
	"decided_at" bigint
);
--> statement-breakpoint
CREATE TABLE "session_figures" (
	"session" text PRIMARY KEY NOT NULL,
	"claude_session" text NOT NULL,
	"figures" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"key" text PRIMARY KEY NOT NULL,
	"source" text NOT NULL,
	"agent" text,
	"chat" text,
	"claude_session" text NOT NULL,
	"workspace" text NOT NULL,
	"launch_hash" text NOT NULL,
	"model" text,
	"effort" text,
	"system_prompt" text,
	"claude_tools" text,
	"affinity" text,
	"generation" bigint,
	"created_at" bigint NOT NULL,
	"last_active_at" bigint NOT NULL,
	"turns" bigint NOT NULL,
	"branch_of" text
);
--> statement-breakpoint
CREATE TABLE "turns" (
	"id" text PRIMARY KEY NOT NULL,
	"session" text NOT NULL,
	"claude_session" text NOT NULL,
	"state" text NOT NULL,
	"trace_id" text,
	"prompt_id" text,
	"prints" text NOT NULL,
	"past_prints" text NOT NULL,
	"volatile" text,
	"had_history" boolean,
	"dropped" bigint NOT NULL,
	"history" text,
	"exchanges" text,
	"queued_at" bigint,
	"process_origin" text,
	"sent_at" bigint NOT NULL,
	"received_at" bigint,
	"first_text_at" bigint,
	"ended_at" bigint,
	"error_code" text,
	"tokens_in" bigint,
	"tokens_out" bigint,
	"tokens_cached" bigint,
	"model_usage" text,
	"tools" text,
	"usage_open" boolean NOT NULL,
	"response_deleted" boolean NOT NULL,
	"position" bigint GENERATED ALWAYS AS IDENTITY (sequence name "turns_position_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"epoch" bigint DEFAULT 0 NOT NULL
);
--> statement-breakpoint
ALTER TABLE "claims" ADD CONSTRAINT "claims_node_nodes_id_fk" FOREIGN KEY ("node") REFERENCES "nodes"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "parked" ADD CONSTRAINT "parked_node_nodes_id_fk" FOREIGN KEY ("node") REFERENCES "nodes"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "session_figures" ADD CONSTRAINT "session_figures_session_sessions_key_fk" FOREIGN KEY ("session") REFERENCES "sessions"("key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "turns" ADD CONSTRAINT "turns_session_sessions_key_fk" FOREIGN KEY ("session") REFERENCES "sessions"("key") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "claims_node" ON "claims" USING btree ("node");--> statement-breakpoint
CREATE INDEX "past_sessions_key" ON "past_sessions" USING btree ("key");--> statement-breakpoint
CREATE INDEX "permissions_session" ON "permissions" USING btree ("session");--> statement-breakpoint
CREATE INDEX "sessions_affinity" ON "sessions" USING btree ("affinity");--> statement-breakpoint
CREATE INDEX "sessions_branch_of" ON "sessions" USING btree ("branch_of");--> statement-breakpoint
CREATE INDEX "turns_session" ON "turns" USING btree ("session","position");--> statement-breakpoint
CREATE INDEX "turns_claude_session" ON "turns" USING btree ("claude_session");