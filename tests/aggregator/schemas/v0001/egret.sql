PRAGMA user_version=0;
PRAGMA application_id=0;
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE ledger (
	seq BIGINT NOT NULL, 
	time_ms BIGINT NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	warning VARCHAR(32) NOT NULL, 
	"key" VARCHAR(300), 
	body TEXT NOT NULL, 
	prev_hash VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_ledger PRIMARY KEY (seq), 
	CONSTRAINT uq_ledger_key UNIQUE ("key")
);
INSERT INTO "ledger" VALUES(1,1790000180000,'rule:river-level@4dc573a3','event','02ecd0c6adfcbf0f72ea51aaa35c9e50','02ecd0c6adfcbf0f72ea51aaa35c9e50','{"after":{"condition":"active","hazard":"level","holding_level":"blue","holding_rank":1,"id":"02ecd0c6adfcbf0f72ea51aaa35c9e50","level":"blue","onset_ms":1790000119950,"phase":"provisional","rank":1,"rule":"river-level","state":"open","station":"st0007","subject":"st0007/wl"},"event":{"change":"raised","evidence":{"datum":"Luoling","threshold":3.0,"unit":"m","value":3.5},"hazard":"level","id":"02ecd0c6adfcbf0f72ea51aaa35c9e50","level":"blue","phase":"provisional","provisional_id":"","rank":1,"reason":"at_or_above","rule":"river-level@4dc573a3","subject":"st0007/wl","time_ms":1790000119950}}','0000000000000000000000000000000000000000000000000000000000000000','6ec3947223e3f137de6318bd781d33160c000f68f440cc9ec234b213967dd337');
INSERT INTO "ledger" VALUES(2,1790000180000,'rule:river-level@4dc573a3','event','02ecd0c6adfcbf0f72ea51aaa35c9e50','68c3c5ffd2a83a351186a1187364a835','{"after":{"condition":"active","hazard":"level","holding_level":"red","holding_rank":2,"id":"02ecd0c6adfcbf0f72ea51aaa35c9e50","level":"red","onset_ms":1790000119950,"phase":"provisional","rank":2,"rule":"river-level","state":"open","station":"st0007","subject":"st0007/wl"},"event":{"change":"upgraded","evidence":{"datum":"Luoling","threshold":4.0,"unit":"m","value":4.5},"hazard":"level","id":"68c3c5ffd2a83a351186a1187364a835","level":"red","phase":"provisional","provisional_id":"","rank":2,"reason":"at_or_above","rule":"river-level@4dc573a3","subject":"st0007/wl","time_ms":1790000179950}}','6ec3947223e3f137de6318bd781d33160c000f68f440cc9ec234b213967dd337','4d0b76f545ce81929d28226d3f0f9cfc39bbfb18f1b0b4b1eaf1ec4954c86ae3');
INSERT INTO "ledger" VALUES(3,1790000180000,'rule:river-level@4dc573a3','event','02ecd0c6adfcbf0f72ea51aaa35c9e50','707d65a99e70f750432e10540061b596','{"after":{"condition":"active","hazard":"level","holding_level":"red","holding_rank":2,"id":"02ecd0c6adfcbf0f72ea51aaa35c9e50","level":"red","onset_ms":1790000119950,"phase":"provisional","rank":2,"rule":"river-level","state":"open","station":"st0007","subject":"st0007/wl"},"event":{"change":"raised","evidence":{"datum":"Luoling","threshold":3.0,"unit":"m","value":3.5},"hazard":"level","id":"707d65a99e70f750432e10540061b596","level":"blue","phase":"settled","provisional_id":"02ecd0c6adfcbf0f72ea51aaa35c9e50","rank":1,"reason":"at_or_above","rule":"river-level@4dc573a3","subject":"st0007/wl","time_ms":1790000119950}}','4d0b76f545ce81929d28226d3f0f9cfc39bbfb18f1b0b4b1eaf1ec4954c86ae3','2b95ab1a8dbd36deabb02646b7df94d9d4f98d49801ec79ca07bbd4089aae89c');
INSERT INTO "ledger" VALUES(4,1790000180000,'officer:li','acknowledged','02ecd0c6adfcbf0f72ea51aaa35c9e50',NULL,'{"after":{"condition":"active","hazard":"level","holding_level":"red","holding_rank":2,"id":"02ecd0c6adfcbf0f72ea51aaa35c9e50","level":"red","onset_ms":1790000119950,"phase":"provisional","rank":2,"rule":"river-level","state":"acknowledged","station":"st0007","subject":"st0007/wl"},"despite_condition":false,"from_level":"red","holding_level":"red","level":"","note":"seen"}','2b95ab1a8dbd36deabb02646b7df94d9d4f98d49801ec79ca07bbd4089aae89c','c1f0e0f0256bf28c2b0520efecf878fdfc6898790f0a16ad852286272e607e88');
INSERT INTO "ledger" VALUES(5,1790000240000,'rule:river-level@4dc573a3','event','02ecd0c6adfcbf0f72ea51aaa35c9e50','594927ef4e9c904a08c9dcc935fe5594','{"after":{"condition":"active","hazard":"level","holding_level":"red","holding_rank":2,"id":"02ecd0c6adfcbf0f72ea51aaa35c9e50","level":"red","onset_ms":1790000119950,"phase":"settled","rank":2,"rule":"river-level","state":"acknowledged","station":"st0007","subject":"st0007/wl"},"event":{"change":"upgraded","evidence":{"datum":"Luoling","threshold":4.0,"unit":"m","value":4.5},"hazard":"level","id":"594927ef4e9c904a08c9dcc935fe5594","level":"red","phase":"settled","provisional_id":"68c3c5ffd2a83a351186a1187364a835","rank":2,"reason":"at_or_above","rule":"river-level@4dc573a3","subject":"st0007/wl","time_ms":1790000179950}}','c1f0e0f0256bf28c2b0520efecf878fdfc6898790f0a16ad852286272e607e88','2f2269efa2f8c1fb0a422b711c8c4306049347a2d29c5a5a183184da3c8841a8');
INSERT INTO "ledger" VALUES(6,1790000240000,'console','token_added','',NULL,'{"expires_ms":1797776240000,"name":"li","role":"officer","token":"f72e10aba89f"}','2f2269efa2f8c1fb0a422b711c8c4306049347a2d29c5a5a183184da3c8841a8','35ebd4aded5a41fb3609355119f906dcc415042c6968b963a3c92eb8b092ffa2');
CREATE TABLE token (
	id VARCHAR(16) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	created_ms BIGINT NOT NULL, 
	expires_ms BIGINT NOT NULL, 
	revoked_ms BIGINT, 
	CONSTRAINT pk_token PRIMARY KEY (id)
);
INSERT INTO "token" VALUES('f72e10aba89f','li','officer','fc62f462c59ceffacefb2670912b48197b6b2cb9aa68d3f7b5835b08fa0990bc',1790000240000,1797776240000,NULL);
CREATE TABLE warning (
	id VARCHAR(32) NOT NULL, 
	opened_seq BIGINT NOT NULL, 
	last_seq BIGINT NOT NULL, 
	changed_ms BIGINT NOT NULL, 
	rule VARCHAR(200) NOT NULL, 
	subject VARCHAR(120) NOT NULL, 
	station VARCHAR(48) NOT NULL, 
	hazard VARCHAR(48) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	level VARCHAR(48) NOT NULL, 
	rank INTEGER NOT NULL, 
	body TEXT NOT NULL, 
	CONSTRAINT pk_warning PRIMARY KEY (id), 
	CONSTRAINT uq_warning_opened_seq UNIQUE (opened_seq)
);
INSERT INTO "warning" VALUES('02ecd0c6adfcbf0f72ea51aaa35c9e50',1,5,1790000240000,'river-level','st0007/wl','st0007','level','acknowledged','red',2,'{"acknowledged":["officer:li",1790000180000,"seen"],"changed_ms":1790000240000,"closed":null,"condition":"active","hazard":"level","holding_level":"red","holding_rank":2,"id":"02ecd0c6adfcbf0f72ea51aaa35c9e50","last_seq":5,"level":"red","levels":{"blue":1,"red":2},"lowered":null,"onset_ms":1790000119950,"opened_ms":1790000180000,"opened_seq":1,"peak_rank":2,"phase":"settled","rank":2,"rule":"river-level","state":"acknowledged","station":"st0007","steps":[["707d65a99e70f750432e10540061b596",1,"blue","settled",1790000119950,"at_or_above","river-level@4dc573a3"],["594927ef4e9c904a08c9dcc935fe5594",2,"red","settled",1790000179950,"at_or_above","river-level@4dc573a3"]],"subject":"st0007/wl"}');
CREATE INDEX ix_ledger_warning_seq ON ledger (warning, seq);
CREATE INDEX ix_warning_state_opened_seq ON warning (state, opened_seq);
CREATE INDEX ix_warning_station_opened_seq ON warning (station, opened_seq);
CREATE UNIQUE INDEX uq_warning_open ON warning (rule, subject) WHERE state != 'closed';
CREATE TRIGGER ledger_no_UPDATE BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_no_DELETE BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
COMMIT;
