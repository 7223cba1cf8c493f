variable "partition" {
  description = "Partition of the account, such as aws."
  type        = string
}

variable "region" {
  description = "Region of the functions."
  type        = string
}

variable "account_id" {
  description = "Account of the functions."
  type        = string
}

variable "functions" {
  description = "Names of the functions, and whether each of them uses a master user."
  type        = map(object({ function_name = string, uses_master = bool }))
}

variable "in_vpc" {
  description = "Whether the functions run in a VPC."
  type        = bool
}

variable "kms_key_arns" {
  description = "KMS keys that encrypt the secrets."
  type        = list(string)
}

variable "replica_kms_key_arns" {
  description = "KMS keys of replicas in other accounts, for replicas without a replication role."
  type        = list(string)
}

variable "secret_account_ids" {
  description = "Other accounts whose secrets the functions may rotate."
  type        = list(string)
}

variable "assume_role_arn" {
  description = "Role with which the functions call Secrets Manager and RDS, or null: their own."
  type        = string
}

variable "master_secret_arns" {
  description = "Master secrets. An ARN may contain the wildcards * and ?."
  type        = list(string)
}

variable "master_secret_tag" {
  description = "Value of the tag rotation-master of the master secrets in this account, or null."
  type        = string
}

variable "master_secret_kms_key_arns" {
  description = "KMS keys that encrypt the master secrets."
  type        = list(string)
}

variable "deny_credentials_elsewhere" {
  description = "Whether the credentials of a role are useless outside of its function."
  type        = bool
}
